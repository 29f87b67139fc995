"""Run the command line as `python -m mlwild.cli`."""

from mlwild.cli import main

if __name__ == "__main__":
    main()
