using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Tls;

/// <summary>A connection between OpenSSL and OpenSSL, of which one end is ours once the handshake is done.</summary>
internal sealed class TakenOver : IDisposable
{
    private readonly List<byte> _received = [];

    /// <summary>Our end.</summary>
    public TlsConnectionState Ours;

    /// <summary>Does the handshake, and takes over.</summary>
    /// <param name="isTls13">The version.</param>
    /// <param name="algorithm">What is agreed on.</param>
    /// <param name="isServer">Whether ours is the server's end.</param>
    /// <param name="certificate">The server's.</param>
    /// <param name="resumed">The client whose session is resumed; null: none is.</param>
    public TakenOver(
        bool isTls13, AeadAlgorithm algorithm, bool isServer, (string Certificate, string Key) certificate, OpenSslPeer? resumed = null)
    {
        using OpenSslPeer other = new(isTls13, algorithm, isServer ? certificate : null);
        Peer = new OpenSslPeer(isTls13, algorithm, isServer ? null : certificate);
        (OpenSslPeer client, OpenSslPeer server) = isServer ? (Peer, other) : (other, Peer);
        if (resumed is not null) client.Resume(resumed);

        // In TLS 1.3 the server is done with its tickets, which are the first records with the keys that are taken over, and come behind the
        // client's end of the handshake.
        bool clientIsDone = false, serverIsDone = false;
        while (!clientIsDone || !serverIsDone)
        {
            if (!clientIsDone)
            {
                clientIsDone = client.Handshake();
                server.Give(client.HandshakeBytes);
            }

            if (serverIsDone) continue;
            serverIsDone = server.Handshake();
            if (clientIsDone && !isServer) _received.AddRange(server.HandshakeBytes);
            else client.Give(server.HandshakeBytes);
        }

        Assert.True(other.TryTakeOver(ref Ours));
    }

    /// <summary>OpenSSL's end.</summary>
    public OpenSslPeer Peer { get; }

    /// <summary>The last record that was opened and was no data.</summary>
    public OpenedRecord Last { get; private set; }

    public void Dispose()
    {
        Peer.Dispose();
        Ours.Release();
    }

    /// <summary>We send data.</summary>
    public void Send(ReadOnlySpan<byte> data) => Peer.Give(TlsEnds.Seal(ref Ours, data));

    /// <summary>Receives what the peer has sent, as a caller of the reader and writer does: asked for a key update, it owes one.</summary>
    /// <returns>The data.</returns>
    public byte[] Receive()
    {
        _received.AddRange(Peer.Take());
        List<byte> data = [];
        byte[] received = [.. _received];
        int start = 0;
        while (start < received.Length)
        {
            OpenedRecord opened = TlsRecordReader.Open(ref Ours, received.AsSpan(start));
            if (opened.Kind == OpenedRecordKind.Incomplete) break;
            data.AddRange(received.AsSpan(start + opened.DataStart, opened.DataLength));
            if (opened.Kind == OpenedRecordKind.KeyUpdateRequested) Ours.OweKeyUpdate();
            if (opened.Kind != OpenedRecordKind.Data) Last = opened;
            if (opened.Kind is OpenedRecordKind.Fault or OpenedRecordKind.FatalAlert) break;
            start += opened.Length;
        }

        _received.Clear();
        _received.AddRange(received.AsSpan(start));
        return [.. data];
    }

    /// <summary>Splits what was sent into records.</summary>
    public static List<byte[]> Records(byte[] bytes)
    {
        List<byte[]> records = [];
        for (int start = 0; start < bytes.Length;)
        {
            int length = TlsRecord.Measure(bytes.AsSpan(start));
            Assert.NotEqual(0, length);
            records.Add(bytes[start..(start + length)]);
            start += length;
        }

        return records;
    }
}
