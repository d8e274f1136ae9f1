import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { fault } from '@hypostyle/vim';

/** What a host shows at the beginning of TLS: its certificate, and the one that signed it where it sends that. */
export interface ShownCertificate {
  /** SHA-1, `AB:CD:…`. */
  readonly thumbprint: string;
  readonly selfSigned: boolean;
}

/** Milliseconds in which a host must answer at first contact. */
export const contactTime = 10_000;

/** The certificate of whoever answers there; nothing is sent. Throws NoHost, HostConnectFault. */
export function readHostCertificate(host: string, port: number): Promise<ShownCertificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      rejectUnauthorized: false,
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(noHost(host, 'it does not answer'))), contactTime);
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(() => reject(error.syscall === undefined ? notSecure(host, error) : noHost(host, error.message))),
    );
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      end(() => {
        if (certificate === undefined) reject(notSecure(host, new Error('it shows no certificate')));
        else
          resolve({
            thumbprint: certificate.fingerprint,
            selfSigned: certificate.subject === certificate.issuer,
          });
      });
    });
  });
}

export function noHost(name: string, why: string) {
  return fault('NoHost', { name }, `There is no host at ${name}: ${why}.`);
}

function notSecure(name: string, why: Error) {
  return fault('HostConnectFault', {}, `What answers at ${name} does not speak TLS: ${why.message}.`);
}

/** The fault by which clients learn which certificate they would trust. */
export function sslVerifyFault(name: string, { thumbprint, selfSigned }: ShownCertificate) {
  return fault(
    'SSLVerifyFault',
    { selfSigned, thumbprint },
    `The certificate of ${name} has the thumbprint ${thumbprint}, which was not confirmed.`,
  );
}

/** True where two thumbprints are the same, however they are written. */
export function sameThumbprint(a: string, b: string): boolean {
  const plain = (text: string) => text.replace(/[^0-9a-fA-F]/g, '').toLowerCase();
  return plain(a) === plain(b);
}
