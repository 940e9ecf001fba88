"""What an alert is, when one opens, grows and closes, and how it reaches people."""
