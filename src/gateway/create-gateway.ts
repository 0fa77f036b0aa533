import type { RelayDeps } from './relay-request.ts';
import { relayRequest } from './relay-request.ts';
import type { Gateway } from './relayed-answer.ts';
import { openTicket } from './ticket.ts';

/** The gateway over its parts. */
export function createGateway(deps: RelayDeps): Gateway {
  return {
    relay: (request, signal, sendAhead) => relayRequest(request, deps, signal, sendAhead),
    refuse: (request, error) => openTicket(request, deps.ticket).settle({ kind: 'refused', error }),
    abandon: (request) => openTicket(request, deps.ticket).settle({ kind: 'client-gone' }),
  };
}
