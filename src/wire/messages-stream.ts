import type { JsonObject } from '../core/json.ts';
import { objectAt } from '../core/json.ts';
import { createItemCollector } from './fold-items.ts';
import { messagesError, messagesErrorFrame } from './messages-error.ts';
import type { MessagesEvent } from './messages-blocks.ts';
import { MessageEvents } from './messages-events.ts';
import { createMessageFold } from './messages-fold.ts';
import type { PassageDeps, Seen } from './passage.ts';
import { nothingSeen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { toBytes, writeResponsesEvent } from './sse-writer.ts';
import { bodyOfFailure, noteFailure, readResponsesFailure, statusOfFailure } from './stream-failure.ts';
import type { EventTeller } from './stream-passage.ts';
import { noteResponse } from './stream-seen.ts';
import { ResponseEvents } from './stream-to-responses-events.ts';

/** Tells an upstream's answer to a Messages client, which gets a stream or one object as it asked. */
export function createMessagesTeller(plan: AnswerPlan, deps: PassageDeps): EventTeller {
  return plan.clientStream ? createStream(plan, deps) : createFold(plan, deps);
}

function createStream(plan: AnswerPlan, deps: PassageDeps): EventTeller {
  let out: Uint8Array[] = [];
  const told = tellVia(plan, deps, (event) => out.push(writeResponsesEvent(event)));
  const { seen } = told.teller;
  return {
    ...told.teller,
    drain() {
      const pieces = out;
      out = [];
      return pieces;
    },
    finish: () => (seen.failure ? [messagesErrorFrame(bodyOfFailure(seen.failure))] : told.terminal().map(writeResponsesEvent)),
    errorFrame: messagesErrorFrame,
  };
}

function createFold(plan: AnswerPlan, deps: PassageDeps): EventTeller {
  const fold = createMessageFold();
  const told = tellVia(plan, deps, (event) => fold.take(event));
  const { seen } = told.teller;
  return {
    ...told.teller,
    drain: () => [],
    finish() {
      if (seen.failure) return [toBytes(JSON.stringify(messagesError(bodyOfFailure(seen.failure), statusOfFailure(seen.failure))))];
      for (const event of told.terminal()) fold.take(event);
      return [toBytes(JSON.stringify(fold.message()))];
    },
    errorFrame: (error) => toBytes(JSON.stringify(messagesError(error, null))),
  };
}

/** An answer on its way through the hub's events; framing is not known here. */
interface Told {
  readonly teller: Omit<EventTeller, 'drain' | 'finish' | 'errorFrame'>;
  /** The events that end the message, asked for once. */
  terminal(): readonly MessagesEvent[];
}

function tellVia(plan: AnswerPlan, deps: PassageDeps, sink: (event: MessagesEvent) => void): Told {
  const message = new MessageEvents(plan, deps, sink);
  return plan.upstreamWire === 'chat' ? fromChat(plan, deps, message) : fromResponses(message);
}

/** The upstream speaks the hub's own words. */
function fromResponses(message: MessageEvents): Told {
  const seen = nothingSeen();
  const items = createItemCollector();
  return {
    teller: {
      seen,
      take(event) {
        noteResponse(seen, objectAt(event, 'response'));
        if (event.type === 'codex.rate_limits') seen.rateLimits = event;
        if (event.type === 'error' || event.type === 'response.failed' || event.type === 'response.cancelled') {
          return noteFailure(seen, readResponsesFailure(event));
        }
        items.take(event);
        message.take(event);
        seen.outputEvents = message.outputEvents;
        seen.outputCharacters = message.outputCharacters;
        noteMessage(seen, message);
      },
      done: () => undefined,
      end: () => undefined,
      items: items.items,
      response: () => null,
    },
    terminal: () => message.terminal(),
  };
}

/** The upstream's chat chunks become the hub's events first. */
function fromChat(plan: AnswerPlan, deps: PassageDeps, message: MessageEvents): Told {
  const seen = nothingSeen();
  const hub = new ResponseEvents(plan, deps, seen, (event) => message.take(event));
  /** Reasoning that the client does not get commits nothing: another account may still serve. */
  const step = (work: () => void): void => {
    const { meaningful } = seen;
    work();
    if (seen.terminal !== null && seen.failure === null) message.take(terminalOf(hub, seen));
    seen.meaningful = meaningful;
    noteMessage(seen, message);
  };
  return {
    teller: {
      seen,
      take: (chunk: JsonObject) => step(() => hub.take(chunk)),
      done: () => step(() => hub.done()),
      end: () => step(() => hub.end()),
      items: () => hub.items(),
      response: () => null,
    },
    terminal: () => message.terminal(),
  };
}

/** The hub fills in zeros where no usage was told, which a Messages client would take for the size of its request. */
function terminalOf(hub: ResponseEvents, seen: Seen): JsonObject {
  const event = hub.terminal();
  return seen.usage === null ? { ...event, response: { ...objectAt(event, 'response'), usage: null } } : event;
}

function noteMessage(seen: Seen, message: MessageEvents): void {
  if (message.spoke || message.ended !== null || seen.terminal !== null) seen.meaningful = true;
  if (message.ended !== null) seen.terminal ??= message.ended.incomplete ? 'incomplete' : 'completed';
}
