"""Stages: functions from DataFrames to DataFrames. They know neither paths nor each other."""
