using System.Runtime.InteropServices;

namespace Megaphone.Tls;

/// <summary>One end of a TLS connection on a non-blocking descriptor: OpenSSL's object, in eight bytes.</summary>
/// <remarks>
/// <para>Not thread-safe: whoever calls holds the connection. It owns native memory until <see cref="Free"/>, and never the
/// descriptor. When it is idle OpenSSL keeps no buffers for it.</para>
/// <para>After <see cref="TlsStatus.Failed"/>, <see cref="TlsStatus.Broken"/> or <see cref="TlsStatus.Truncated"/> nothing but
/// <see cref="Free"/> may be called.</para>
/// </remarks>
/// <param name="handle">The SSL object; 0 for none.</param>
internal readonly unsafe struct TlsSession(nint handle)
{
    /// <summary>The SSL object; 0 for none.</summary>
    public nint Handle => handle;

    /// <summary>Whether OpenSSL holds bytes that were received and not read; the kernel does not report those any more.</summary>
    public bool HasUnread => OpenSsl.HasPending(handle) != 0;

    /// <summary>
    /// Whether one direction may end before the other (RFC 8446, section 6.1). Up to TLS 1.2 the end of one is the end of both
    /// (RFC 5246, section 7.2.1).
    /// </summary>
    public bool EndsByHalves => OpenSsl.Version(handle) >= OpenSsl.Tls13;

    /// <summary>Goes on with the handshake.</summary>
    public TlsStatus Handshake()
    {
        OpenSsl.ClearErrors();
        int result = OpenSsl.Handshake(handle);
        return result == 1 ? TlsStatus.Done : Explain(result);
    }

    /// <summary>Reads what has arrived, until the place is full or there is no more.</summary>
    /// <param name="into">Where it goes; not empty.</param>
    /// <param name="count">Bytes read, whatever the status.</param>
    /// <returns><see cref="TlsStatus.Done"/>: there may be more. Else why there is no more now.</returns>
    public TlsStatus Read(Span<byte> into, out int count)
    {
        count = 0;
        OpenSsl.ClearErrors();
        fixed (byte* start = into)
        {
            do
            {
                int read = OpenSsl.Read(handle, start + count, into.Length - count);
                if (read <= 0) return Explain(read);
                count += read;
            }
            while (count < into.Length && HasUnread);
        }

        return TlsStatus.Done;
    }

    /// <summary>
    /// Reads one record of what has arrived, while one of ours has gone out in part: as <see cref="Read"/>, but it stops at a key
    /// update that is to be answered, unless more had been read ahead before.
    /// </summary>
    /// <remarks>
    /// The answer goes out behind our record (RFC 8446, section 4.6.3). To be asked a second time before that is legal, and makes
    /// OpenSSL put its answer into the middle of the record, which it then refuses to do.
    /// </remarks>
    /// <param name="into">Where it goes; not empty.</param>
    /// <param name="count">Bytes read, whatever the status.</param>
    /// <returns><see cref="TlsStatus.WantWrite"/>: no more until our record has gone out.</returns>
    public TlsStatus ReadOne(Span<byte> into, out int count)
    {
        count = 0;
        if (OpenSsl.KeyUpdateType(handle) != OpenSsl.KeyUpdateNone) return TlsStatus.WantWrite;
        OpenSsl.SetReadAhead(handle, 0);
        _ = OpenSsl.Control(handle, OpenSsl.ControlClearMode, OpenSsl.ModeAutoRetry, 0);
        OpenSsl.ClearErrors();
        TlsStatus status = TlsStatus.Done;
        fixed (byte* start = into)
        {
            int read = OpenSsl.Read(handle, start, into.Length);
            if (read > 0) count = read;
            else status = Explain(read);
        }

        _ = OpenSsl.Control(handle, OpenSsl.ControlMode, OpenSsl.ModeAutoRetry, 0);
        OpenSsl.SetReadAhead(handle, 1);
        return status;
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

    /// <summary>What the handshake, which is done, agreed on.</summary>
    public TlsFacts Facts()
    {
        byte* protocol;
        uint length;
        OpenSsl.AlpnSelected(handle, &protocol, &length);
        return new TlsFacts(
            Text(OpenSsl.VersionName(handle))!,
            Text(OpenSsl.CipherName(OpenSsl.CurrentCipher(handle)))!,
            Text(OpenSsl.ServerName(handle, 0)),
            length == 0 ? null : Marshal.PtrToStringUTF8((nint)protocol, (int)length),
            OpenSsl.SessionReused(handle) != 0);
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
        _ => OpenSsl.FirstReason() == OpenSsl.ReasonUnexpectedEnd ? TlsStatus.Truncated : TlsStatus.Failed,
    };
}
