"""From a run to the treatments that promise to mend it."""
