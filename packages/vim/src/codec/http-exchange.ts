/** A request as any HTTP server hands it over. */
export interface HttpRequest {
  readonly method: string;
  /** Path and query, as sent. */
  readonly url: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Whole where it is small and there already, piece by piece otherwise. May be left unread. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  readonly clientAddress: string;
  /** The certificate in DER that the client showed in the handshake, whoever signed it. */
  readonly clientCertificate?: Uint8Array | undefined;
  /** Fires when the client goes away or the server stops. */
  readonly signal: AbortSignal;
}

export type HttpHeaders = Readonly<Record<string, string>>;

/** The answer: `send` or `open`, once. */
export interface HttpResponder {
  /** An answer known whole; its length is the responder's to state. */
  send(status: number, headers: HttpHeaders, body: string | Uint8Array): void;
  /** An answer of unknown length. */
  open(status: number, headers: HttpHeaders): HttpSink;
}

/** Takes the body of an answer. Chunks are the sink's from then on. */
export interface HttpSink {
  /** False when the sender should await `drain` before the next one. */
  write(chunk: Uint8Array): boolean;
  /** Settles when there is room again, or when the client is gone. */
  drain(): Promise<void>;
  end(): void;
  /** Breaks the answer off, so that the client cannot take it for whole. */
  abort(): void;
}

export function header(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : value?.[0];
}
