"""Session-Buddy as a service: how it is started so that it keeps what it stores."""
