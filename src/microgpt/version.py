"""The version, apart, so that no module imports the package's face."""

__version__ = "0.1.0"
