import sys

print("torch" in sys.modules)
