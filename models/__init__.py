"""Features, isolation forest, its registry and scoring, and the rules that find reaction spikes."""
