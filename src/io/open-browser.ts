import open from 'open';

/** Opens the person's browser at an address. Rejects when there is none to open. */
export async function openBrowser(url: string): Promise<void> {
  const child = await open(url);
  // A browser that fails later, or is closed, is the person's business: the address was shown too.
  child.on('error', () => {});
  child.unref();
}
