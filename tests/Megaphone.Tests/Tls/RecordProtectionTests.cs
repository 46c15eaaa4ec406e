using System.Buffers.Binary;
using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Tls;

/// <summary>Record protection against records that others have sealed.</summary>
public sealed class RecordProtectionTests
{
    private const int ExplicitNonceStart = TlsRecord.HeaderBytes;

    [Fact]
    public void Each_record_of_RFC_8448s_traces_is_opened_and_sealed_as_there()
    {
        SecurityParameters parameters = new(isTls13: true, AeadAlgorithm.Aes128Gcm);
        Dictionary<string, (TrafficKeys Opens, TrafficKeys Seals)> ends = [];
        int records = 0;
        foreach (string[] line in RecordVectors.Read("Rfc8448.txt"))
        {
            (TrafficKeys opens, TrafficKeys seals) = ends.GetValueOrDefault(line[1]);
            if (line[0] == "secret")
            {
                opens.UseSecret(parameters.Algorithm, Convert.FromHexString(line[2]), sequence: 0);
                seals = opens;
            }
            else
            {
                AssertRecord(parameters, ref opens, ref seals, line);
                records++;
            }

            ends[line[1]] = (opens, seals);
        }

        Assert.Equal(27, records);
    }

    [Fact]
    public void Each_record_of_TLS_1_2_that_OpenSSL_has_sealed_is_opened_and_sealed_as_there()
    {
        TlsConnectionState opens = default, seals = default;
        SecurityParameters parameters = default;
        int records = 0;
        foreach (string[] line in RecordVectors.Read("OpenSslTls12.txt"))
        {
            if (line[0] == "keys")
            {
                opens = default;
                opens.UseTls12(
                    Enum.Parse<AeadAlgorithm>(line[1]), isServer: true, Convert.FromHexString(line[2]), Convert.FromHexString(line[3]),
                    Convert.FromHexString(line[4]), readSequence: 0, writeSequence: 0, explicitNonce: 0);
                (seals, parameters) = (opens, opens.Parameters);
                continue;
            }

            bool isClients = line[1] == "client";
            ref TrafficKeys sealing = ref isClients ? ref seals.Read : ref seals.Write;
            if (sealing.Sequence == 0) BeginNonces(parameters, ref sealing, Convert.FromHexString(line[4]));
            AssertRecord(parameters, ref isClients ? ref opens.Read : ref opens.Write, ref sealing, line);
            records++;
        }

        Assert.Equal(3 * 9, records);
    }

    [Fact]
    public void Traffic_secrets_follow_each_other_as_RFC_8446_has_it()
    {
        // Both computed from RFC 8448's, section 3, with another implementation.
        TlsConnectionState state = default;
        state.UseTls13(
            AeadAlgorithm.Aes128Gcm, isServer: true, Convert.FromHexString("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"),
            Convert.FromHexString("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"), readSequence: 7, writeSequence: 1);
        state.Read.Update(AeadAlgorithm.Aes128Gcm);
        state.UpdateWriteKey();

        Assert.Equal("fcdfcc72725aaee48bf64e4fd8b749cdbdbab39d90da0b26e2245ca6ea167207", Convert.ToHexStringLower(state.Read.Material[..32]));
        Assert.Equal("51921b8aa3001976eb401d0a4319a8516416a6c56001a357e5d162031e84f916", Convert.ToHexStringLower(state.Write.Material[..32]));
        Assert.Equal((0UL, 0UL), (state.Read.Sequence, state.Write.Sequence));
    }

    private static void AssertRecord(SecurityParameters parameters, ref TrafficKeys opens, ref TrafficKeys seals, string[] line)
    {
        TlsContentType type = (TlsContentType)byte.Parse(line[2], System.Globalization.CultureInfo.InvariantCulture);
        byte[] content = Convert.FromHexString(line[3]), record = Convert.FromHexString(line[4]);

        byte[] sealing = new byte[record.Length];
        content.CopyTo(sealing, TlsRecord.HeaderBytes + parameters.ExplicitNonceBytes);
        Assert.Equal(record.Length, RecordProtection.Seal(parameters, ref seals, type, sealing, content.Length));
        Assert.Equal(record, sealing);

        Assert.Null(RecordProtection.Open(parameters, ref opens, record, out TlsContentType opened, out Span<byte> data));
        Assert.Equal(type, opened);
        Assert.Equal(content, data);
    }

    /// <summary>OpenSSL's explicit nonces begin anywhere.</summary>
    private static void BeginNonces(SecurityParameters parameters, ref TrafficKeys keys, byte[] firstRecord)
    {
        if (parameters.ExplicitNonceBytes == 0) return;
        Span<byte> key = stackalloc byte[parameters.Algorithm.KeyBytes()];
        Span<byte> nonce = stackalloc byte[AeadAlgorithms.NonceBytes];
        keys.CopyKey(parameters, key);
        keys.CopyNonce(parameters, nonce);
        keys.UseKey(key, nonce[..4], keys.Sequence, BinaryPrimitives.ReadUInt64BigEndian(firstRecord.AsSpan(ExplicitNonceStart)));
    }
}
