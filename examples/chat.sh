#!/bin/sh
# A streamed answer through Relay with curl:  OPENAI_API_KEY=sk-relay-… sh examples/chat.sh
curl -sN "${OPENAI_BASE_URL:-http://127.0.0.1:7352/v1}/chat/completions" \
  -H "Authorization: Bearer $OPENAI_API_KEY" -H 'Content-Type: application/json' \
  -d "{\"model\":\"${MODEL:-relay-mini}\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Say hello\"}]}"
