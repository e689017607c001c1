"""What the bodies of create requests may hold, endpoint by endpoint, written from the API's description."""
