using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Megaphone.Ecm;
using Megaphone.Reactor;
using Megaphone.Tls;
using Xunit;
using static Megaphone.Tests.Tls.TlsEnds;

namespace Megaphone.Tests.Tls;

/// <summary>The state itself: how large it is, that it can be moved, and that nothing is left of it.</summary>
public sealed class TlsConnectionStateTests
{
    [Fact]
    public void A_client_with_TLS_takes_less_than_256_bytes_with_its_slot()
    {
        Assert.Equal(176, Unsafe.SizeOf<TlsConnectionState>());
        Assert.InRange(Unsafe.SizeOf<ConnectionSlot>() + Unsafe.SizeOf<EcmClient>() + Unsafe.SizeOf<TlsConnectionState>(), 0, 256 - 16);
    }

    [Theory]
    [MemberData(nameof(All), MemberType = typeof(TlsEnds))]
    public void A_copy_of_its_bytes_goes_on_where_it_stood(string version, string algorithm)
    {
        TlsEnds ends = Of(version, algorithm);
        ends.AssertTalk();
        byte[] client = BytesOf(ref ends.Client).ToArray(), server = BytesOf(ref ends.Server).ToArray();
        TlsEnds others = Of(version, algorithm);
        others.AssertTalk();
        others.Client = MemoryMarshal.Read<TlsConnectionState>(client);
        others.Server = MemoryMarshal.Read<TlsConnectionState>(server);
        others.AssertTalk();
    }

    [Theory]
    [MemberData(nameof(All), MemberType = typeof(TlsEnds))]
    public void Nothing_is_left_of_a_state_that_is_released(string version, string algorithm)
    {
        TlsEnds ends = Of(version, algorithm);
        ends.AssertTalk();
        TlsConnectionState copy = ends.Server;
        ends.Server.Release();
        Assert.Equal(-1, BytesOf(ref ends.Server).IndexOfAnyExcept((byte)0));
        ends.Server.Release();

        ends.Server = copy;
        ends.AssertTalk();
    }

    [Theory]
    [MemberData(nameof(All), MemberType = typeof(TlsEnds))]
    public void Records_and_key_updates_allocate_nothing(string version, string algorithm)
    {
        TlsEnds ends = Of(version, algorithm);
        byte[] buffer = new byte[TlsRecordWriter.BytesBefore + 100 + TlsRecordWriter.BytesAfter];
        ends.AssertTalk();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++)
        {
            if (version == "1.3") ends.Server.OweKeyUpdate();
            ReadOnlySpan<byte> records = TlsRecordWriter.Seal(ref ends.Server, buffer);
            int start = TlsRecordWriter.BytesBefore - TlsRecord.HeaderBytes - ends.Server.Parameters.ExplicitNonceBytes;
            Span<byte> left = buffer.AsSpan(version == "1.3" ? 0 : start, records.Length);
            while (!left.IsEmpty) left = left[TlsRecordReader.Open(ref ends.Client, left).Length..];
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Theory]
    [InlineData(0x1301, nameof(AeadAlgorithm.Aes128Gcm))]
    [InlineData(0x1302, nameof(AeadAlgorithm.Aes256Gcm))]
    [InlineData(0x1303, nameof(AeadAlgorithm.ChaCha20Poly1305))]
    [InlineData(0xC02B, nameof(AeadAlgorithm.Aes128Gcm))]
    [InlineData(0xC030, nameof(AeadAlgorithm.Aes256Gcm))]
    [InlineData(0xCCA8, nameof(AeadAlgorithm.ChaCha20Poly1305))]
    [InlineData(0x1304, null)]
    [InlineData(0xC027, null)]
    [InlineData(0x009C, null)]
    public void Each_suite_that_is_allowed_has_its_algorithm(int suite, string? algorithm) =>
        Assert.Equal(algorithm, AeadAlgorithms.OfSuite(suite)?.ToString());

    private static Span<byte> BytesOf(ref TlsConnectionState state) => MemoryMarshal.AsBytes(new Span<TlsConnectionState>(ref state));
}
