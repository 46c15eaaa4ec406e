using System.Numerics;
using Megaphone.Links;
using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>Reads what both ends of links have in common.</summary>
internal static class LinkSettings
{
    /// <summary>Reads the keys of one role's links.</summary>
    public static LinkOptions Read(SettingsReader reader, LinkKeys keys)
    {
        int maxPacketBytes = reader.Read(keys.MaxPacketBytes);
        int smallestRing = (int)BitOperations.RoundUpToPowerOf2((uint)maxPacketBytes * 2);
        int defaultRing = Math.Max(keys.RingBytes.Fallback, smallestRing);
        int ringBytes = reader.Read(keys.RingBytes, defaultRing);
        if (!BitOperations.IsPow2(ringBytes) || ringBytes < smallestRing)
        {
            reader.Refuse(
                keys.RingBytes,
                $"must be a power of two and at least twice {keys.MaxPacketBytes.Path}, which is {SizeText.Of(maxPacketBytes)}",
                SizeText.Of(defaultRing));
        }

        return new LinkOptions
        {
            Name = reader.Read(keys.Name),
            Secret = ReadSecret(reader, keys),
            MaxPacketBytes = maxPacketBytes,
            RingBytes = ringBytes,
            SocketBufferBytes = reader.Read(keys.SocketBufferBytes),
        };
    }

    private static string? ReadSecret(SettingsReader reader, LinkKeys keys)
    {
        string? secret = reader.Read(keys.Secret);
        if (reader.Read(keys.SecretFile) is not { } path) return secret;
        if (reader.IsGiven(keys.Secret)) reader.Refuse(keys.SecretFile, $"takes the place of {keys.Secret.Path}, which is given, too", "one of them");
        if (SecretFile.Read(path, out string? inFile) is { } wrong) reader.Refuse(keys.SecretFile, wrong, keys.SecretFile.Example);
        return inFile ?? secret;
    }

    /// <summary>The certificate and key of one end of links: both or neither.</summary>
    public static (string Certificate, string Key)? ReadOwn(
        SettingsReader reader, SettingKey<string?> certificateKey, SettingKey<string?> keyKey, bool isRequired)
    {
        string? certificate = reader.Read(certificateKey), key = reader.Read(keyKey);
        RequireBeside(certificateKey, keyKey);
        RequireBeside(keyKey, certificateKey);
        return certificate is null || key is null ? null : (certificate, key);

        void RequireBeside(SettingKey required, SettingKey other)
        {
            bool isBeside = reader.IsGiven(other);
            if (!reader.IsGiven(required) && (isRequired || isBeside))
                reader.Refuse(required, "must be given" + (isBeside ? $" with {other.Path}" : ""), required.Example);
        }
    }
}
