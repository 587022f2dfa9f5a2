"""Personal data: erasing one person from a data set, and keeping nothing longer than is meant."""
