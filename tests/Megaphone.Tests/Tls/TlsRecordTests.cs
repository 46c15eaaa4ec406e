using FsCheck;
using FsCheck.Fluent;
using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Tls;

public sealed class TlsRecordTests
{
    [Fact]
    public void A_record_is_complete_when_its_last_byte_has_arrived()
    {
        byte[] record = Record(TlsRecord.Handshake, 300);
        byte[] received = [.. record, .. Record(23, 7)];

        for (int come = 0; come < record.Length; come++) Assert.Equal(0, TlsRecord.Measure(received.AsSpan(0, come)));
        for (int come = record.Length; come <= received.Length; come++)
            Assert.Equal(record.Length, TlsRecord.Measure(received.AsSpan(0, come)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(16_384 + 2048)]
    public void Records_of_every_length_that_TLS_allows_are_waited_for(int length)
    {
        byte[] record = Record(23, length);
        Assert.Equal(record.Length, TlsRecord.Measure(record));
        if (length > 0) Assert.Equal(0, TlsRecord.Measure(record.AsSpan(0, record.Length - 1)));
    }

    [Theory]
    [InlineData(3, 16_384 + 2049)]
    [InlineData(3, 65_535)]
    [InlineData(2, 10)]
    [InlineData((byte)'T', 10)]
    public void A_header_that_no_version_of_TLS_allows_is_refused_without_waiting_for_more(byte version, int length)
    {
        byte[] header = [23, version, 3, (byte)(length >> 8), (byte)length];
        Assert.Equal(0, TlsRecord.Measure(header.AsSpan(0, 4)));
        Assert.Equal(TlsRecord.HeaderBytes, TlsRecord.Measure(header));
    }

    [Fact]
    public void Whatever_comes_never_more_is_measured_than_has_come()
    {
        Prop.ForAll<byte[]>(bytes => TlsRecord.Measure(bytes) <= bytes.Length).QuickCheckThrowOnFailure();
    }

    private static byte[] Record(byte type, int length) =>
        [type, 3, 3, (byte)(length >> 8), (byte)length, .. Enumerable.Repeat((byte)0x55, length)];
}
