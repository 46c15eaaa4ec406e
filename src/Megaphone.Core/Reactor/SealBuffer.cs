using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>Room in which the calling thread seals a record: one for each thread that sends, none for a connection.</summary>
internal static class SealBuffer
{
    private const int Around = TlsRecordWriter.BytesBefore + TlsRecordWriter.BytesAfter;

    [ThreadStatic]
    private static byte[]? _bytes;

    /// <summary>Room for so many bytes of content, and what goes around them. Valid until the thread's next call.</summary>
    public static Span<byte> Of(int contentBytes) =>
        (_bytes ??= new byte[Around + SecurityParameters.MaxContentBytes]).AsSpan(0, Around + contentBytes);
}
