"""What watches a live model: label-free estimates, shift, alarms; no I/O."""
