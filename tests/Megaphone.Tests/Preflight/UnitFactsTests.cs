using System.Runtime.CompilerServices;
using Megaphone.Preflight;
using Xunit;

namespace Megaphone.Tests.Preflight;

public sealed class UnitFactsTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("megaphone-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void The_packaged_unit_gives_what_it_says()
    {
        Write("usr/lib/systemd/system/megaphone.service", File.ReadAllText(Shipped("megaphone.service")));

        UnitFacts unit = UnitFacts.Read(_root)!;

        Assert.Equal(Path.Combine(_root, "usr/lib/systemd/system/megaphone.service"), unit.Path);
        Assert.Equal(("/etc/megaphone/megaphone.json", 1_048_576), (unit.Configuration, unit.OpenFiles));
    }

    [Fact]
    public void Without_a_unit_nothing_is_known() => Assert.Null(UnitFacts.Read(_root));

    [Fact]
    public void Drop_ins_have_the_last_word_and_an_administrators_files_hide_the_packages()
    {
        Write("lib/systemd/system/megaphone.service", "[Service]\nLimitNOFILE=1\n");
        Write("etc/systemd/system/megaphone.service", "[Service]\nExecStart=/usr/bin/megaphone run\nLimitNOFILE=1024:4096\nAmbientCapabilities=\n");
        Assert.Equal((null, 4096L, false), Of(UnitFacts.Read(_root)));

        Write("lib/systemd/system/megaphone.service.d/10-limits.conf", "[Service]\nLimitNOFILE=2\n");
        Write("etc/systemd/system/megaphone.service.d/10-limits.conf", "[Service]\nLimitNOFILE=infinity\n");
        Write("etc/systemd/system/megaphone.service.d/20-ports.conf", """
            [Service]
            ExecStart=
            ExecStart=/usr/bin/megaphone run --config /srv/m.json
            AmbientCapabilities=CAP_SYS_NICE CAP_NET_BIND_SERVICE
            """);
        Assert.Equal(("/srv/m.json", long.MaxValue, true), Of(UnitFacts.Read(_root)));

        Write("etc/systemd/system/megaphone.service.d/30-none.conf", "[Service]\n# LimitNOFILE=5\nAmbientCapabilities=\n");
        Assert.Equal(("/srv/m.json", long.MaxValue, false), Of(UnitFacts.Read(_root)));
    }

    private static (string?, long?, bool) Of(UnitFacts? unit) => (unit!.Configuration, unit.OpenFiles, unit.MayListenBelow1024);

    private static string Shipped(string name, [CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "../../../packaging", name);

    private void Write(string path, string text)
    {
        string file = Path.Combine(_root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
