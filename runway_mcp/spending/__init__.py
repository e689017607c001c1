"""Starting a task: within the limits, and never bought twice."""
