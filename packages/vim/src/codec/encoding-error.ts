/** A value that is not of its declared type: a defect of whoever made it, never of the client. */
export class EncodingError extends Error {
  override readonly name = 'EncodingError';
}
