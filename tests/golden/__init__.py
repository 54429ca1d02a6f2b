"""What Evenflow says today, frozen: a change that is meant to move code only must not change it."""
