"""The shapes of the OpenAI APIs: Responses and Chat Completions, requests and answers."""
