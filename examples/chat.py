"""Chat Completions through Relay with nothing but Python:  OPENAI_API_KEY=sk-relay-... python3 examples/chat.py"""
import json
import os
import urllib.request

request = urllib.request.Request(
    os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:7352/v1") + "/chat/completions",
    data=json.dumps({
        "model": os.environ.get("MODEL", "relay-mini"),
        "messages": [{"role": "user", "content": "Say hello"}],
    }).encode(),
    headers={"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"},
)
with urllib.request.urlopen(request) as response:
    print(json.load(response)["choices"][0]["message"]["content"])
