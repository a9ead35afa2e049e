/** What calls with certificates are measured against. */
export const PLAIN = 'plaintext';
export const MTLS = 'mutual TLS';

export const secureContenders = [PLAIN, MTLS] as const;

export type SecureContender = (typeof secureContenders)[number];
