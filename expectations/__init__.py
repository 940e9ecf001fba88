"""What a report is: typed report, strict decoding, suites of expectations, reason codes."""
