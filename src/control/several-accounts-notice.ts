/** Shown before a second ChatGPT account is added; the dated answer is kept. */
export const SEVERAL_ACCOUNTS_NOTICE = [
  'You are adding a second ChatGPT account. Relay is for one person using accounts that are their own.',
  'OpenAI\'s terms forbid sharing accounts and getting around usage limits, and it may suspend accounts it believes do.',
  'Whether using several of your own accounts is allowed for you is between you and OpenAI; Relay is not affiliated with it.',
].join('\n');
