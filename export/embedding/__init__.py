"""The face encoder: data, teachers, network, training, calibration."""
