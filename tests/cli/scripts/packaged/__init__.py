import sys

print("in __init__:", sys.argv)
