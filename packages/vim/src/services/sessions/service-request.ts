/** A request that a service ticket is good for. */
export interface ServiceRequest {
  /** HTTP method such as `GET`. */
  readonly method: string;
  /** Path and query, or a whole URL, whose host is not compared. */
  readonly url: string;
}
