using System.Security.Cryptography;
using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Tls;

/// <summary>Both ends of a connection whose handshake is done; and what a client seals that breaks the rules.</summary>
internal sealed class TlsEnds
{
    public TlsConnectionState Client;
    public TlsConnectionState Server;

    public TlsEnds(bool isTls13 = true, AeadAlgorithm algorithm = AeadAlgorithm.Aes128Gcm)
    {
        byte[] secret = RandomNumberGenerator.GetBytes(48), other = RandomNumberGenerator.GetBytes(48), random = RandomNumberGenerator.GetBytes(32);
        foreach (bool isServer in new[] { false, true })
        {
            ref TlsConnectionState state = ref isServer ? ref Server : ref Client;
            int bytes = algorithm.HashBytes();
            if (isTls13) state.UseTls13(algorithm, isServer, secret.AsSpan(0, bytes), other.AsSpan(0, bytes), 0, 0);
            else state.UseTls12(algorithm, isServer, secret, random, other.AsSpan(0, 32), 1, 1, explicitNonce: ulong.MaxValue);
        }
    }

    /// <summary>Every version with every algorithm.</summary>
    public static TheoryData<string, string> All
    {
        get
        {
            TheoryData<string, string> all = [];
            foreach (string version in new[] { "1.3", "1.2" })
            {
                foreach (string algorithm in Enum.GetNames<AeadAlgorithm>()) all.Add(version, algorithm);
            }

            return all;
        }
    }

    public static TlsEnds Of(string version, string algorithm = nameof(AeadAlgorithm.Aes128Gcm)) =>
        new(version == "1.3", Enum.Parse<AeadAlgorithm>(algorithm));

    /// <summary>Seals data as one record, and behind a key update if one is owed.</summary>
    public static byte[] Seal(ref TlsConnectionState state, ReadOnlySpan<byte> data)
    {
        byte[] buffer = new byte[TlsRecordWriter.BytesBefore + data.Length + TlsRecordWriter.BytesAfter];
        data.CopyTo(buffer.AsSpan(TlsRecordWriter.BytesBefore));
        return TlsRecordWriter.Seal(ref state, buffer).ToArray();
    }

    /// <summary>Seals a record of any type, with any content, and with TLS 1.3 any number of zeros behind it.</summary>
    public static byte[] SealAny(ref TlsConnectionState state, TlsContentType type, ReadOnlySpan<byte> content, int padding)
    {
        byte[] record = new byte[TlsRecord.HeaderBytes + content.Length + 1 + padding + state.Parameters.Expansion];
        Span<byte> inner = record.AsSpan(TlsRecord.HeaderBytes + state.Parameters.ExplicitNonceBytes);
        content.CopyTo(inner);
        int bytes = content.Length;
        if (padding > 0)
        {
            // The type that is written behind the content is the last zero.
            inner[bytes] = (byte)type;
            (bytes, type) = (bytes + padding, TlsContentType.Invalid);
        }

        return record[..RecordProtection.Seal(state.Parameters, ref state.Write, type, record, bytes)];
    }

    public static byte[] SealEnd(ref TlsConnectionState state, TlsAlert alert) =>
        TlsRecordWriter.SealEnd(ref state, alert, new byte[TlsRecordWriter.MaxEndBytes]).ToArray();

    /// <summary>Opens what is a record, whole.</summary>
    public static (OpenedRecord Opened, byte[] Data) Open(ref TlsConnectionState state, ReadOnlySpan<byte> record)
    {
        byte[] received = record.ToArray();
        OpenedRecord opened = TlsRecordReader.Open(ref state, received);
        return (opened, received[opened.DataStart..(opened.DataStart + opened.DataLength)]);
    }

    public byte[] ClientSeals(ReadOnlySpan<byte> data) => Seal(ref Client, data);

    public byte[] ServerSeals(ReadOnlySpan<byte> data) => Seal(ref Server, data);

    public byte[] ClientSeals(TlsContentType type, ReadOnlySpan<byte> content, int padding = 0) => SealAny(ref Client, type, content, padding);

    public byte[] ServerSeals(TlsContentType type, ReadOnlySpan<byte> content) => SealAny(ref Server, type, content, padding: 0);

    public OpenedRecord ServerOpens(ReadOnlySpan<byte> record) => Open(ref Server, record).Opened;

    public OpenedRecord ClientOpens(ReadOnlySpan<byte> record) => Open(ref Client, record).Opened;

    /// <summary>Data goes through in both directions.</summary>
    public void AssertTalk()
    {
        Assert.Equal("<up/>"u8.ToArray(), Open(ref Server, ClientSeals("<up/>"u8)).Data);
        Assert.Equal("<down/>"u8.ToArray(), Open(ref Client, ServerSeals("<down/>"u8)).Data);
    }
}
