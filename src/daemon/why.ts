import type { ControlParams } from '../core/control-messages.ts';
import type { WhyReport } from '../core/views.ts';
import { ControlError } from '../control/control.ts';
import type { AllowedChoicesDeps } from '../gateway/allowed-choices.ts';
import { explainChoice } from '../gateway/explain-choice.ts';

/** The decision for a request that is not sent, for a client by its name. Throws a ControlError for an unknown client. */
export function answerWhy({ model, client: name }: ControlParams<'routing.why'>, deps: AllowedChoicesDeps): WhyReport {
  const client = name === null ? null : (deps.state().clients.find((known) => known.name === name && known.revokedAt === null) ?? null);
  if (name !== null && client === null) throw new ControlError('not_found', `There is no client "${name}"; relay clients list shows them.`);
  return explainChoice({ model, client }, deps);
}
