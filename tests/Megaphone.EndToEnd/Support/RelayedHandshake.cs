using System.Net;
using System.Net.Sockets;

namespace Megaphone.EndToEnd.Support;

/// <summary>A TLS connection whose handshake <c>openssl s_client</c> has made through this process, which then continues it itself.</summary>
/// <param name="Socket">The connection; whoever asked for it closes it.</param>
/// <param name="Received">What the server has sent so far.</param>
internal sealed record RelayedHandshake(Socket Socket, byte[] Received)
{
    /// <summary>Connects, and relays until the handshake is done and its keys are known.</summary>
    /// <param name="to">Where to.</param>
    /// <param name="keyLog">A file that may be written: openssl's key log.</param>
    /// <param name="options">Additional options of openssl.</param>
    /// <param name="hasKeys">Reads the key log, and tells whether all needed keys are there.</param>
    /// <exception cref="IOException">The handshake did not end well.</exception>
    public static async Task<RelayedHandshake> MakeAsync(IPEndPoint to, string keyLog, IEnumerable<string> options, Func<bool> hasKeys)
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using ChildProcess client = ChildProcess.Start(
        [
            "openssl", "s_client", "-connect", $"{listener.LocalEndPoint}", .. options, "-servername", "localhost",
            "-keylogfile", keyLog, "-brief",
        ]);
        using Socket near = await BoundedWait.WithinAsync(listener.AcceptAsync(), "openssl");
        Socket far = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await BoundedWait.WithinAsync(far.ConnectAsync(to), $"a connection to {to}");
            return new RelayedHandshake(far, await RelayAsync(client, near, far, hasKeys));
        }
        catch
        {
            far.Dispose();
            throw;
        }
    }

    private static async Task<byte[]> RelayAsync(ChildProcess client, Socket near, Socket far, Func<bool> hasKeys)
    {
        byte[] some = new byte[64 << 10];
        List<byte> received = [];
        bool done = false;
        while (!done)
        {
            // Checked before the last bytes are passed on: openssl writes it after its Finished.
            bool established = client.Errors.Contains("CONNECTION ESTABLISHED");
            foreach ((Socket from, Socket into) in ((Socket, Socket)[])[(near, far), (far, near)])
            {
                if (!from.Poll(10_000, SelectMode.SelectRead)) continue;
                int read = await BoundedWait.WithinAsync(from.ReceiveAsync(some), "the handshake");
                if (read == 0) throw new IOException($"The handshake did not end well: {client.Said}");
                if (from == far) received.AddRange(some.AsSpan(0, read));
                await BoundedWait.WithinAsync(into.SendAsync(some.AsMemory(0, read)).AsTask(), "the handshake");
            }

            done = hasKeys() && established;
        }

        return [.. received];
    }
}
