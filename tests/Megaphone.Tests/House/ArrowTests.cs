using System.Diagnostics;
using System.Reflection;
using Megaphone.Bench;
using Megaphone.Hosting;
using Megaphone.Protocol;
using Xunit;

namespace Megaphone.Tests.House;

/// <summary>The allowed references between assemblies, and between the rooms in them, as docs/architecture.md lists them.</summary>
public sealed class ArrowTests
{
    private static readonly Assembly Core = typeof(PacketHeader).Assembly;
    private static readonly Assembly Bench = typeof(BenchCommand).Assembly;
    private static readonly Assembly Executable = typeof(MegaphoneService).Assembly;

    /// <summary>The rooms of Megaphone.Core, and the other rooms that each of them uses.</summary>
    public static TheoryData<string, string[]> RoomsOfCore => new()
    {
        { "Interop", [] },
        { "Protocol", [] },
        { "Xmpp", [] },
        { "Web", ["Xmpp"] },
        { "Values", ["Unix"] },
        { "Unix", ["Interop"] },
        { "Handover", ["Interop", "Unix"] },
        { "Metrics", ["Xmpp"] },
        { "Tls", ["Handover", "Interop"] },
        { "Reactor", ["Handover", "Interop", "Metrics", "Tls", "Unix"] },
        { "Links", ["Handover", "Interop", "Metrics", "Protocol", "Tls", "Unix", "Values"] },
        { "Ecm", ["Handover", "Interop", "Links", "Metrics", "Protocol", "Reactor", "Tls", "Unix", "Values", "Web", "Xmpp"] },
        { "Hub", ["Handover", "Interop", "Links", "Metrics", "Protocol", "Reactor", "Unix", "Values"] },
    };

    /// <summary>The rooms of the executable, and the other rooms that each of them uses. Each of them may use all of Core.</summary>
    public static TheoryData<string, string[]> RoomsOfTheExecutable => new()
    {
        { "Operator", [] },
        { "Configuration", ["Operator"] },
        { "Admin", ["Configuration", "Operator"] },
        { "Preflight", ["Configuration"] },
        { "Hosting", ["Admin", "Configuration", "Operator", "Preflight"] },
        { "Cli", ["Configuration", "Hosting", "Operator", "Preflight"] },
    };

    [Fact]
    public void Core_references_no_other_assembly_and_Bench_only_Core()
    {
        Assert.Empty(References(Core));
        Assert.Equal(["Megaphone.Core"], References(Bench));
        Assert.Equal(["Megaphone.Bench", "Megaphone.Core"], References(Executable));
    }

    [Theory]
    [MemberData(nameof(RoomsOfCore))]
    public void Each_room_of_Core_uses_these_others(string room, string[] others) => AssertUses(Core, room, others);

    [Theory]
    [MemberData(nameof(RoomsOfTheExecutable))]
    public void Each_room_of_the_executable_uses_these_others(string room, string[] others) => AssertUses(Executable, room, others);

    /// <summary>Clients' sockets are open over an exec, so a child has to close them first, as that of a reload does.</summary>
    [Fact]
    public void The_service_starts_no_process_by_the_means_of_the_framework() => Assert.DoesNotContain(
        typeof(Process), Core.GetTypes().Concat(Executable.GetTypes()).SelectMany(TypeUses.Of));

    [Fact]
    public void There_are_no_other_rooms()
    {
        Assert.Equal(RoomsOfCore.Select(row => (string)row[0]).Order(), Rooms(Core));
        Assert.Equal(RoomsOfTheExecutable.Select(row => (string)row[0]).Order(), Rooms(Executable));
    }

    private static void AssertUses(Assembly assembly, string room, string[] others)
    {
        var arrows = assembly.GetTypes().Where(type => RoomOf(type) == room)
            .SelectMany(type => TypeUses.Of(type)
                .Where(used => used.Assembly == assembly)
                .Select(used => (To: RoomOf(used), How: $"{type.Name} uses {used.Name}")))
            .Where(arrow => arrow.To is not null && arrow.To != room)
            .ToLookup(arrow => arrow.To!, arrow => arrow.How);

        string[] wrong =
        [
            .. arrows.Where(arrow => !others.Contains(arrow.Key))
                .Select(arrow => $"{room} ──► {arrow.Key}: {string.Join(", ", arrow.Distinct().Take(5))}"),
        ];
        Assert.True(wrong.Length == 0, "These arrows are not to be:\n" + string.Join('\n', wrong));
        Assert.Equal(others, arrows.Select(arrow => arrow.Key).Order());
    }

    private static string[] References(Assembly assembly) =>
    [
        .. assembly.GetReferencedAssemblies().Select(name => name.Name!)
            .Where(name => name.StartsWith("megaphone", StringComparison.OrdinalIgnoreCase)).Order(),
    ];

    private static string[] Rooms(Assembly assembly) => [.. assembly.GetTypes().Select(RoomOf).OfType<string>().Distinct().Order()];

    /// <summary>The second part of a namespace; null for types outside of rooms, and for those that the compiler generates.</summary>
    private static string? RoomOf(Type type) =>
        type.Namespace?.Split('.') is ["Megaphone", string room, ..] ? room : null;
}
