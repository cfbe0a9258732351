"""The service as a WSGI server such as gunicorn runs it, with its requests counted; `rsgi.py` is for granian."""

from flask import Flask

from flask_server.app import create_app
from flask_server.metrics import counted


def create_service() -> Flask:
    """Make the application of one worker.

    Raises:
        BuiltModelError: See `flask_server.app.read_settings`.
    """
    app = create_app()
    app.wsgi_app = counted(app.wsgi_app, app.extensions["metrics"])  # type: ignore[method-assign]  # as Flask has it
    return app
