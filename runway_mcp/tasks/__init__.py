"""What can be done with a Runway task, whoever asks: tools, REST or the command line."""
