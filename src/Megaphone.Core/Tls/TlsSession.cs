using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>One end of a TLS connection on a non-blocking descriptor: OpenSSL's object, in eight bytes.</summary>
/// <remarks>
/// <para>Not thread-safe: whoever calls holds the connection. It owns native memory until <see cref="Free"/>, and never the
/// descriptor. When it is idle OpenSSL keeps no buffers for it.</para>
/// <para>The handshake reads from the socket. After it, once <see cref="ReadRecordsOnly"/> has been called, nothing is read but the
/// records that are given to <see cref="Open"/>, one at a time.</para>
/// <para>After <see cref="TlsStatus.Failed"/> or <see cref="TlsStatus.Broken"/> nothing but <see cref="Free"/> may be called.</para>
/// </remarks>
/// <param name="handle">The SSL object; 0 for none.</param>
internal readonly unsafe struct TlsSession(nint handle)
{
    /// <summary>The SSL object; 0 for none.</summary>
    public nint Handle => handle;

    /// <summary>Whether OpenSSL holds bytes of a record that it was given and that <see cref="Open"/> has not delivered yet.</summary>
    public bool HasUnread => OpenSsl.HasPending(handle) != 0;

    /// <summary>
    /// Whether one direction may end before the other, and keys may be updated (TLS 1.3: RFC 8446, sections 6.1 and 4.6.3). Up to TLS 1.2
    /// the end of one is the end of both (RFC 5246, section 7.2.1).
    /// </summary>
    public bool IsTls13 => OpenSsl.Version(handle) >= OpenSsl.Tls13;

    /// <summary>
    /// Whether the peer has asked for a key update that cannot be answered yet, since a record of ours has gone out in part. A peer may
    /// ask again before that, which makes OpenSSL try to put its answer into the middle of the record, and then fail.
    /// </summary>
    public bool OwesKeyUpdate => OpenSsl.KeyUpdateType(handle) != OpenSsl.KeyUpdateNone;

    /// <summary>Goes on with the handshake.</summary>
    /// <param name="secrets">Where it is noted what the records need; the same from its first step on.</param>
    public TlsStatus Handshake(ref HandshakeSecrets secrets)
    {
        OpenSsl.ClearErrors();
        int result = secrets.Handshake(handle);
        return result == 1 ? TlsStatus.Done : Explain(result);
    }

    /// <summary>From now on only records that are given to <see cref="Open"/> are read. To be called when the handshake is done.</summary>
    public void ReadRecordsOnly() => TlsTransport.ReadOffersOnly(handle);

    /// <summary>Opens one record, or goes on with one that has been taken and not delivered whole.</summary>
    /// <param name="record">A whole record, or as much as <see cref="TlsRecord.Measure"/> says. Empty: nothing new.</param>
    /// <param name="into">Where its data goes; not empty.</param>
    /// <param name="count">Bytes of data, whatever the status.</param>
    /// <param name="taken">Bytes of the record that OpenSSL has taken: all, or none if it has first to deliver or send something.</param>
    /// <returns><see cref="TlsStatus.Done"/>: data came. <see cref="TlsStatus.WantRead"/>: the record had none in it.
    /// <see cref="TlsStatus.WantWrite"/>: no more until the kernel takes more of ours.</returns>
    public TlsStatus Open(ReadOnlySpan<byte> record, Span<byte> into, out int count, out int taken)
    {
        OpenSsl.ClearErrors();
        fixed (byte* bytes = record, start = into)
        {
            TlsTransport.Offer(bytes, record.Length);
            int read = OpenSsl.Read(handle, start, into.Length);
            taken = record.Length - TlsTransport.Withdraw();
            count = Math.Max(read, 0);
            return read > 0 ? TlsStatus.Done : Explain(read);
        }
    }

    /// <summary>Sends bytes.</summary>
    /// <param name="bytes">Not empty. After <see cref="TlsStatus.WantWrite"/> or <see cref="TlsStatus.WantRead"/> the next
    /// call must bring the same bytes from the first unsent one on, wherever they lie then.</param>
    /// <param name="count">Bytes sent, whatever the status.</param>
    /// <returns><see cref="TlsStatus.Done"/>: all. Else why not.</returns>
    public TlsStatus Write(ReadOnlySpan<byte> bytes, out int count)
    {
        count = 0;
        OpenSsl.ClearErrors();
        fixed (byte* start = bytes)
        {
            do
            {
                int written = OpenSsl.Write(handle, start + count, bytes.Length - count);
                if (written <= 0) return Explain(written);
                count += written;
            }
            while (count < bytes.Length);
        }

        return TlsStatus.Done;
    }

    /// <summary>Ends our direction with <c>close_notify</c>.</summary>
    public TlsStatus EndWrite()
    {
        // 0: ours has gone out, the peer's has not come. That is all that is wanted here.
        OpenSsl.ClearErrors();
        int result = OpenSsl.Shutdown(handle);
        return result >= 0 ? TlsStatus.Done : Explain(result);
    }

    /// <summary>
    /// Ends the session because the peer sends too much of what is allowed in small numbers: with the alert <c>unexpected_message</c>
    /// in TLS 1.3, before that with <c>close_notify</c>. Afterwards it has <see cref="TlsStatus.Failed"/>.
    /// </summary>
    public void Refuse()
    {
        if (!IsTls13)
        {
            EndWrite();
            return;
        }

        // OpenSSL has no call that sends an alert. This one it sends for a record in the clear, which may not come here (RFC 8446,
        // section 5: "MUST terminate the connection with an "unexpected_message" alert").
        ReadOnlySpan<byte> inTheClear = [TlsRecord.Handshake, 3, 3, 0, 1, 0];
        Span<byte> nothing = stackalloc byte[1];
        Open(inTheClear, nothing, out _, out int taken);

        // A key update is answered first, by a call that takes nothing.
        if (taken == 0) Open(inTheClear, nothing, out _, out _);
    }

    /// <summary>What the handshake, which is done, agreed on.</summary>
    /// <param name="withBindings">Whether channel bindings are wanted.</param>
    public TlsFacts Facts(bool withBindings)
    {
        byte* protocol;
        uint length;
        OpenSsl.AlpnSelected(handle, &protocol, &length);
        return new TlsFacts(
            Text(OpenSsl.VersionName(handle))!,
            Text(OpenSsl.CipherName(OpenSsl.CurrentCipher(handle)))!,
            Text(OpenSsl.ServerName(handle, 0)),
            length == 0 ? null : Marshal.PtrToStringUTF8((nint)protocol, (int)length),
            OpenSsl.SessionReused(handle) != 0)
        {
            Exporter = withBindings ? ChannelBinding.Exporter(handle) : [],
            ServerEndPoint = withBindings ? ChannelBinding.ServerEndPoint(handle) : [],
            Unique = withBindings ? ChannelBinding.Unique(handle) : [],
        };
    }

    /// <summary>Frees the native memory.</summary>
    public void Free() => OpenSsl.Free(handle);

    private static string? Text(byte* text) => Marshal.PtrToStringUTF8((nint)text);

    private TlsStatus Explain(int result) => OpenSsl.GetError(handle, result) switch
    {
        OpenSsl.ErrorWantRead => TlsStatus.WantRead,
        OpenSsl.ErrorWantWrite => TlsStatus.WantWrite,
        OpenSsl.ErrorZeroReturn => TlsStatus.Ended,
        OpenSsl.ErrorSystemCall => TlsStatus.Broken,
        _ => TlsStatus.Failed,
    };
}
