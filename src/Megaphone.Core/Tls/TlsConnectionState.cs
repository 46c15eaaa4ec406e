using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Megaphone.Tls;

/// <summary>
/// All that an established TLS connection needs: the connection states of both directions (RFC 5246, section 6.1), and what the rules about
/// their records have to remember. 176 bytes, plain data, free of addresses: a copy in another process goes on where this one stood.
/// </summary>
/// <remarks>
/// <para>Begun with <see cref="UseTls13"/> or <see cref="UseTls12"/>, read with <see cref="TlsRecordReader"/>, written with
/// <see cref="TlsRecordWriter"/>, ended with <see cref="Release"/>. It holds secrets, so it is passed by reference and never copied but to be
/// handed over.</para>
/// <para>The directions have nothing in common that changes: one thread may read while another one writes. An answer that the reader
/// owes to the peer is passed on by whoever calls both, with <see cref="OweKeyUpdate"/>.</para>
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal struct TlsConnectionState
{
    /// <summary>
    /// Records after which our key is updated in TLS 1.3, whatever the algorithm: long before AES-GCM's limit (RFC 8446, section 5.5), and
    /// seldom enough to cost nothing.
    /// </summary>
    public const ulong RecordsBetweenKeyUpdates = 1UL << 22;

    /// <summary>In the place of a count: the peer has sent <c>close_notify</c>.</summary>
    private const byte ReadHasEnded = byte.MaxValue;

    /// <summary>The writer's flags.</summary>
    private const byte WriteHasEnded = 1, OwesKeyUpdate = 2;

    /// <summary>The reader's direction.</summary>
    public TrafficKeys Read;

    /// <summary>The writer's direction.</summary>
    public TrafficKeys Write;

    /// <summary>The reader's: what has come of a handshake message that is cut over several records.</summary>
    public PostHandshakeMessage Message;

    /// <summary>What the handshake has agreed on.</summary>
    public SecurityParameters Parameters { get; private set; }

    /// <summary>Whether it has been begun, and not been released.</summary>
    public readonly bool IsBegun => Parameters != default;

    /// <summary>Whether this end is the server; else it is the client.</summary>
    public bool IsServer { get; private set; }

    /// <summary>The reader's: records without data since the last one that had some.</summary>
    public byte RecordsWithoutData;

    /// <summary>The writer's: flags.</summary>
    private byte _writer;

    /// <summary>
    /// The reader's: the peer has sent <c>close_notify</c>. Where the transport ends without it, data may be missing
    /// (RFC 8446, section 6.1; RFC 5246, section 7.2.1). Nothing is counted any more then.
    /// </summary>
    public readonly bool ReadEnded => RecordsWithoutData == ReadHasEnded;

    /// <summary>The writer's: <c>close_notify</c> or a fatal alert has been sealed, and nothing may follow.</summary>
    public readonly bool WriteEnded => (_writer & WriteHasEnded) != 0;

    /// <summary>Whether it can be the state of a connection. Of one that was handed over nothing else can be told.</summary>
    public readonly bool IsPossible =>
        Parameters.Algorithm is AeadAlgorithm.Aes128Gcm or AeadAlgorithm.Aes256Gcm or AeadAlgorithm.ChaCha20Poly1305;

    /// <summary>Begins a connection of TLS 1.3 whose handshake is done. The memory is zero.</summary>
    /// <param name="algorithm">What was agreed on.</param>
    /// <param name="isServer">Which end this is.</param>
    /// <param name="clientSecret"><c>client_application_traffic_secret_N</c>.</param>
    /// <param name="serverSecret"><c>server_application_traffic_secret_N</c>.</param>
    /// <param name="readSequence">Records that have been read with the peer's secret.</param>
    /// <param name="writeSequence">Records that have been written with ours.</param>
    public void UseTls13(
        AeadAlgorithm algorithm, bool isServer, ReadOnlySpan<byte> clientSecret, ReadOnlySpan<byte> serverSecret,
        ulong readSequence, ulong writeSequence)
    {
        (Parameters, IsServer) = (new SecurityParameters(isTls13: true, algorithm), isServer);
        Read.UseSecret(algorithm, isServer ? clientSecret : serverSecret, readSequence);
        Write.UseSecret(algorithm, isServer ? serverSecret : clientSecret, writeSequence);
    }

    /// <summary>Begins a connection of TLS 1.2 whose handshake is done. The memory is zero.</summary>
    /// <param name="algorithm">What was agreed on.</param>
    /// <param name="isServer">Which end this is.</param>
    /// <param name="masterSecret">48 bytes.</param>
    /// <param name="clientRandom"><c>ClientHello.random</c>.</param>
    /// <param name="serverRandom"><c>ServerHello.random</c>.</param>
    /// <param name="readSequence">Records that have been read under these keys; <c>Finished</c> was the first.</param>
    /// <param name="writeSequence">Records that have been written under them; <c>Finished</c> was the first.</param>
    /// <param name="explicitNonce">With AES-GCM: one more than that of the last record that was written; none may be used twice.</param>
    public void UseTls12(
        AeadAlgorithm algorithm, bool isServer, ReadOnlySpan<byte> masterSecret, ReadOnlySpan<byte> clientRandom, ReadOnlySpan<byte> serverRandom,
        ulong readSequence, ulong writeSequence, ulong explicitNonce)
    {
        (Parameters, IsServer) = (new SecurityParameters(isTls13: false, algorithm), isServer);

        // key_block: client_write_key, server_write_key, client_write_IV, server_write_IV (RFC 5246, section 6.3; there is no MAC key).
        int keyBytes = algorithm.KeyBytes();
        int ivBytes = AeadAlgorithms.NonceBytes - Parameters.ExplicitNonceBytes;
        Span<byte> block = stackalloc byte[2 * (AeadAlgorithms.MaxKeyBytes + AeadAlgorithms.NonceBytes)];
        block = block[..(2 * (keyBytes + ivBytes))];
        TlsKeySchedule.ExpandKeyBlock(algorithm, masterSecret, clientRandom, serverRandom, block);
        ref TrafficKeys client = ref isServer ? ref Read : ref Write;
        ref TrafficKeys server = ref isServer ? ref Write : ref Read;
        client.UseKey(block[..keyBytes], block.Slice(2 * keyBytes, ivBytes), isServer ? readSequence : writeSequence, explicitNonce);
        server.UseKey(block.Slice(keyBytes, keyBytes), block[(2 * keyBytes + ivBytes)..], isServer ? writeSequence : readSequence, explicitNonce);
        CryptographicOperations.ZeroMemory(block);
    }

    /// <summary>
    /// The peer has asked for a key update (<see cref="OpenedRecordKind.KeyUpdateRequested"/>). The writer's: one answer serves all that were
    /// asked for before it is sealed (RFC 8446, section 4.6.3).
    /// </summary>
    public void OweKeyUpdate() => _writer |= OwesKeyUpdate;

    /// <summary>The reader's: nothing more is read.</summary>
    public void EndRead() => RecordsWithoutData = ReadHasEnded;

    /// <summary>The writer's: nothing more may be sealed.</summary>
    public void EndWrite() => _writer |= WriteHasEnded;

    /// <summary>The writer's: whether a key update goes before the next data. The peer has asked for it, or the key has been used enough.</summary>
    public readonly bool MustUpdateKey => (_writer & OwesKeyUpdate) != 0 || (Parameters.IsTls13 && Write.Sequence >= RecordsBetweenKeyUpdates);

    /// <summary>
    /// The writer's: whether the connection has to be ended in order now, since its key has been used enough and TLS 1.2 cannot update it.
    /// RFC 8446, section 5.5, has the limit, which is the algorithm's; enough is left of it for the end.
    /// </summary>
    public readonly bool MustEnd => !Parameters.IsTls13 && Write.Sequence >= Parameters.Algorithm.MaxRecordsOfKey();

    /// <summary>The writer's: a key update has been sealed, and the next record has the next key.</summary>
    public void UpdateWriteKey()
    {
        _writer &= unchecked((byte)~OwesKeyUpdate);
        Write.Update(Parameters.Algorithm);
    }

    /// <summary>Zeroes everything: the secrets of a connection that has gone, also where threads have used them last.</summary>
    public void Release()
    {
        if (IsBegun)
        {
            AeadCipher.Forget(Parameters.Algorithm, encrypts: false, ref Read);
            AeadCipher.Forget(Parameters.Algorithm, encrypts: true, ref Write);
        }

        CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(new Span<TlsConnectionState>(ref this)));
    }
}
