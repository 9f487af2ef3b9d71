"""The papers beside our models: what they report, what we measured, and whether what they claim holds."""
