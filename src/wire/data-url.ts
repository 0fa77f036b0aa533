const MIME_BY_EXTENSION: Readonly<Record<string, string>> = {
  pdf: 'application/pdf', txt: 'text/plain', md: 'text/markdown', csv: 'text/csv', json: 'application/json', html: 'text/html',
  xml: 'application/xml', docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
};

/** A base64 data URL as both APIs want it: no white space, the standard alphabet, padded. Other URLs stay as they are. */
export function tidyDataUrl(url: string): string {
  const comma = url.indexOf(',');
  if (!url.startsWith('data:') || comma < 0 || !url.slice(0, comma).endsWith(';base64')) return url;
  return `${url.slice(0, comma)},${tidyBase64(url.slice(comma + 1))}`;
}

/** A file's data as a data URL; bare base64 gets the type its name tells, PDF where it tells none. */
export function fileDataUrl(fileData: string, filename: string | undefined): string {
  if (fileData.startsWith('data:')) return tidyDataUrl(fileData);
  const extension = filename?.slice(filename.lastIndexOf('.') + 1).toLowerCase() ?? '';
  const mime = Object.hasOwn(MIME_BY_EXTENSION, extension) ? MIME_BY_EXTENSION[extension] : undefined;
  return `data:${mime ?? 'application/pdf'};base64,${tidyBase64(fileData)}`;
}

function tidyBase64(data: string): string {
  const standard = /[\s_=-]/.test(data) ? data.replaceAll(/[\s=]/g, '').replaceAll('-', '+').replaceAll('_', '/') : data;
  return standard + '='.repeat((4 - (standard.length % 4)) % 4);
}
