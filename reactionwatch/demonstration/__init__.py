"""The demo: the whole chain on one machine, with planted spikes, judged against what was planted."""
