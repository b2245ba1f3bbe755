"""The wire between lock, phone and server: a library without IO."""
