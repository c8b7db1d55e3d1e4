import java.io.FileOutputStream;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.yarn.server.MiniYARNCluster;

/** A real ResourceManager and NodeManager in the folder given; ends when its standard input does. */
public class MiniYarn {
  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[0]);
    Configuration conf = new Configuration();
    conf.set("fs.defaultFS", "file:///");
    conf.set("yarn.scheduler.capacity.root.queues", "default");
    conf.set("yarn.scheduler.capacity.root.default.capacity", "100");
    conf.set("yarn.scheduler.capacity.maximum-am-resource-percent", "0.9");
    conf.set("yarn.scheduler.minimum-allocation-mb", "256");
    // It overwrites the NodeManager's own settings by these.
    conf.set("yarn.minicluster.yarn.nodemanager.resource.memory-mb", "8192");
    conf.set("yarn.nodemanager.resource.memory-mb", "8192");
    conf.set("yarn.nodemanager.resource.cpu-vcores", "8");
    conf.set("yarn.nodemanager.vmem-check-enabled", "false");
    conf.set("yarn.nodemanager.pmem-check-enabled", "false");
    conf.set("yarn.nodemanager.disk-health-checker.enable", "false");
    // A disk that is nearly full for others has room enough for a test.
    conf.set("yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage", "100");
    // Credentials belong to the machine, as those of an instance role do, and not to the application.
    conf.set("yarn.nodemanager.env-whitelist", "JAVA_HOME," + arguments[1]);
    conf.set("yarn.log-aggregation-enable", "true");
    conf.set("yarn.nodemanager.remote-app-log-dir", folder.resolve("logs").toUri().toString());
    MiniYARNCluster cluster = new MiniYARNCluster("tallymark", 1, 1, 1);
    cluster.init(conf);
    cluster.start();
    try (FileOutputStream site = new FileOutputStream(folder.resolve("conf/yarn-site.xml").toFile())) {
      cluster.getConfig().writeXml(site);
    }
    System.out.println("started");
    while (System.in.read() >= 0) {}
    System.exit(0); // what it has started does not all stop by itself
  }
}
