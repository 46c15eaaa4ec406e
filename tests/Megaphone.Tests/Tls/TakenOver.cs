using System.Buffers.Binary;
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
    public TakenOver(bool isTls13, AeadAlgorithm algorithm, bool isServer, (string Certificate, string Key) certificate)
    {
        using OpenSslPeer other = new(isTls13, algorithm, isServer ? certificate : null);
        Peer = new OpenSslPeer(isTls13, algorithm, isServer ? null : certificate);
        (OpenSslPeer client, OpenSslPeer server) = isServer ? (Peer, other) : (other, Peer);

        // ClientHello; ServerHello and what follows; the client's Finished; and in TLS 1.2 the server's, or in TLS 1.3 its tickets, which are
        // the first records with the keys that are taken over.
        byte[] clientFlight = [], serverFlight = [];
        bool clientIsDone = false, serverIsDone = false;
        while (!clientIsDone || !serverIsDone)
        {
            clientIsDone = client.Handshake();
            if (client.Take() is { Length: > 0 } fromClient) server.Give(clientFlight = fromClient);
            serverIsDone = server.Handshake();
            if (server.Take() is not { Length: > 0 } fromServer) continue;
            serverFlight = fromServer;
            if (!clientIsDone) client.Give(fromServer);
        }

        if (isTls13)
        {
            Ours.UseTls13(
                algorithm, isServer, other.Secrets["CLIENT_TRAFFIC_SECRET_0"], other.Secrets["SERVER_TRAFFIC_SECRET_0"],
                readSequence: 0, writeSequence: isServer ? (ulong)Records(serverFlight).Count : 0);
            if (isServer) Peer.Give(serverFlight);
            else _received.AddRange(serverFlight);
        }
        else
        {
            (byte[] clientRandom, byte[] serverRandom) = other.Randoms;
            byte[] finished = Records(isServer ? serverFlight : clientFlight)[^1];
            Ours.UseTls12(
                algorithm, isServer, other.Secrets["CLIENT_RANDOM"], clientRandom, serverRandom, readSequence: 1, writeSequence: 1,
                BinaryPrimitives.ReadUInt64BigEndian(finished.AsSpan(TlsRecord.HeaderBytes)) + 1);
        }
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
