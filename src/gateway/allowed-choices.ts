import type { Client } from '../core/client.ts';
import type { Config } from '../core/config.ts';
import { RelayError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import type { State } from '../core/state.ts';
import type { AccountPool } from './account-pool.ts';
import { modelsOf } from './catalogue.ts';
import { orderChoices } from './order-choices.ts';
import type { ModelChoice } from './resolve-model.ts';
import { matchesGlob, resolveModel } from './resolve-model.ts';

/** The models to try, in order: at least one. */
export type Choices = readonly [ModelChoice, ...ModelChoice[]];

/** Who asks for which model. `client` is null where nobody's scope is asked. */
export interface AskedModel {
  readonly model: string;
  readonly client: Pick<Client, 'name' | 'env' | 'models'> | null;
}

export interface AllowedChoicesDeps {
  readonly settings: () => Config;
  readonly state: () => State;
  readonly pool: Pick<AccountPool, 'candidates'>;
  readonly clock: Clock;
}

/** The models a name stands for and the client may use, in the order to try them. Throws a RelayError when there is none. */
export function allowedChoices({ model, client }: AskedModel, deps: AllowedChoicesDeps): Choices {
  const config = deps.settings();
  const state = deps.state();
  if (state.accounts.length === 0) throw new RelayError('no_account', 'No account is set up yet. Add one with: relay keys add');
  const serves = (id: string): boolean => state.accounts.some((account) => modelsOf(account, state, config)?.some((known) => known.id === id) ?? true);
  const resolved = resolveModel(model, client?.env ?? null, config.models, { serves });
  if (resolved.choices.length === 0) {
    throw new RelayError('model_not_found', `The model "${printable(model)}" is not served by any account. relay models lists those that are; models.aliases in config.json can name it.`, { param: 'model' });
  }
  const [first, ...rest] = orderChoices(resolved, deps.pool, deps.clock.now()).filter(({ id }) => client === null || mayUse(client, id));
  if (first === undefined) {
    const name = client?.name ?? '';
    throw new RelayError('insufficient_scope', `Client "${name}" may not use the model "${printable(model)}"; relay clients set ${name} --models … allows it.`, { param: 'model' });
  }
  return [first, ...rest];
}

function mayUse({ models }: Pick<Client, 'models'>, id: string): boolean {
  return models === null || models.some((glob) => matchesGlob(glob, id));
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);
}
