using Megaphone.Links;
using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>The keys that both ends of links have.</summary>
/// <param name="table">Where they are declared.</param>
/// <param name="role">The role's section.</param>
/// <param name="section">The section of its links.</param>
/// <param name="secretMeaning">What its secret is for.</param>
internal sealed class LinkKeys(KeyTable table, string role, string section, string secretMeaning)
{
    private const int LargestRing = 1 << 30;

    private static readonly LinkOptions Defaults = new();

    public SettingKey<string?> Secret { get; } = table.Add($"{section}:Secret", ValueFormats.Secret, Defaults.Secret, secretMeaning);

    public SettingKey<string?> SecretFile { get; } = table.File(
        $"{section}:SecretFile", "/run/credentials/megaphone.service/link-secret", "file with that secret, as its only line, in place of `Secret`");

    public SettingKey<string> Name { get; } = table.Add(
        $"{section}:Name", ValueFormats.Name, Defaults.Name, "what this end calls itself in the other end's log", shown: "the host's name");

    // Half of the largest ring: a ring takes two of the longest packets.
    public SettingKey<int> MaxPacketBytes { get; } = table.Size(
        $"{role}:MaxPacketBytes", 32, LargestRing / 2, Defaults.MaxPacketBytes, "longest packet accepted from a link, its header included");

    public SettingKey<int> RingBytes { get; } = table.Size(
        $"{section}:RingBytes", 64 << 10, LargestRing, Defaults.RingBytes,
        "ring in front of each link's sender: a power of two, at least twice `MaxPacketBytes`, to which the default grows");

    public SettingKey<int> SocketBufferBytes { get; } = table.Size(
        $"{section}:SocketBufferBytes", 0, 1 << 30, Defaults.SocketBufferBytes,
        "what the kernel may hold for a link in each direction; raise it for long fat links, 0 leaves it to the kernel");
}
