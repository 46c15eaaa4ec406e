// Node.js's TLS as a client: node peer.mjs PORT AUTHORITY HOST VERSION SUITE
//
// Connects to 127.0.0.1 twice, the second time with the session of the first. Each time it checks the certificate, sends 1 MB in pieces of
// odd sizes, reads all of it back, and ends in order. Prints a line for each connection. SUITE is OpenSSL's name.

import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';

const [port, authority, host, version, suite] = process.argv.slice(2);
const bytes = Buffer.from(Uint8Array.from({ length: 1 << 20 }, (_, i) => ((i * i) / 128) & 0xff));

function* pieces() {
  for (let at = 0, piece = 1; at < bytes.length; at += piece, piece = ((piece * 7) % 70_001) + 1) yield bytes.subarray(at, at + piece);
}

function talk(session) {
  return new Promise((resolve, reject) => {
    const tls = connect({
      port, host: '127.0.0.1', servername: host, ca: readFileSync(authority), session, ciphers: suite, ALPNProtocols: ['xmpp-client'],
      minVersion: `TLSv${version}`, maxVersion: `TLSv${version}`, allowHalfOpen: true,
    });
    const received = [];
    let count = 0, ticket;
    tls.on('session', (given) => { ticket = given; });
    tls.on('secureConnect', async () => {
      for (const piece of pieces()) if (!tls.write(piece)) await new Promise((drained) => tls.once('drain', drained));
    });
    tls.on('data', (data) => {
      received.push(data);
      count += data.length;
      if (count === bytes.length) tls.end();
    });
    tls.on('end', () => {
      const echoed = Buffer.concat(received).equals(bytes) ? 'echoed' : 'CHANGED';
      console.log(tls.isSessionReused() ? 'resumed' : 'full', tls.getProtocol(), tls.getCipher().name, echoed, 'ended');
      tls.destroy();
      resolve(ticket);
    });
    tls.on('error', reject);
  });
}

await talk(await talk());
